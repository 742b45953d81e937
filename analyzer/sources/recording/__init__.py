"""Usage on disk: recordings, and tables from elsewhere that become one."""
