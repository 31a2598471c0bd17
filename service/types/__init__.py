"""What is returned: one file per entity; relations name the statement that loads them."""
