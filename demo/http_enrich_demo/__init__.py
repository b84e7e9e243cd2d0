"""The demo: a local airport API, a private Airflow, and a check of every row they produce."""
