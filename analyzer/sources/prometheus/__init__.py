"""Usage, settings and events from a Prometheus, or anything shaped like one."""
