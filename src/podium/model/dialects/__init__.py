"""Documents of other systems, accepted as they stand and translated to the native form."""
