"""The page: one file a section, all wording in `words.py`. Nothing below imports it."""
