"""Where events come from: files, tables and queries of the catalog, databases.

Every source gives a frame with the source's own columns and types, and says which columns there are; how they become
events is for the step that loads them.
"""
