"""The steps of stage 4: publish the lists and show them."""

from recommender.stage4.steps.publisher import Publisher
from recommender.stage4.steps.run_report import RunReport

__all__ = ["Publisher", "RunReport"]
