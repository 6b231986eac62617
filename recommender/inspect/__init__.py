"""Look at a log of events on this machine, without Spark, and find out how it is to be loaded.

`places` finds the files, `text` reads their bytes as text, `cells` and `objects` make rows of it, `tables` has the rows
of all formats. `values` recognises times, ids and kinds of events, `columns` names, and `roles` says which column is
which. `judging` counts rows that are not fit for use, `settings` has what the configuration says, `plan` puts all
together, and `wording` makes the YAML and the text for the terminal.
"""

from recommender.inspect.plan import Plan, plan_for
from recommender.inspect.wording import config_text, report_text

__all__ = ["Plan", "config_text", "plan_for", "report_text"]
