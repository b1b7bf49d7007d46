"""Things that outlive a call and must be cleaned up: process groups and workers."""
