"""The face: layout and words, one file a page.  No simulation and no business rules live here."""
