"""Many runs in one process, and how programs and people reach them over HTTP."""
