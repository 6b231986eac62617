"""The steps of stage 3 that no other stage uses; those that stage 2 judges by are in ``recommender.steps``."""
