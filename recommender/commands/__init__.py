"""Look at and look after what the stages have stored. No command starts Spark.

Each module has what one command needs: `add_arguments`, `run`, which returns plain JSON types, and `text`, which makes
of these what people read. So ``--json`` and the tables never differ.
"""
