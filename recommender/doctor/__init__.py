"""Look at everything that a run needs from the machine and the places that it writes to; ``recommender doctor``.

`machine` looks at Python, its packages, Java, Spark, memory and temporary space, `network` at names, ports and clocks,
`places` at the root, databases and catalogs, `tracking` at MLflow and OpenLineage. Each check returns findings, and
none of them raises.
"""
