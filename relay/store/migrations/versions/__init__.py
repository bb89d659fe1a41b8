"""The steps from one shape of the tables to the next; a step that was released is never changed."""
