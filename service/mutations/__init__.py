"""The fields of Mutation, one file per entity. A mutation is one function, with one transaction and one audit event."""
