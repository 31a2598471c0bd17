"""The fields of Query, one file per entity."""
