"""The way from each revision of the tables to the next. What is here is never changed again."""
