"""What people look at: console lines and the report."""
