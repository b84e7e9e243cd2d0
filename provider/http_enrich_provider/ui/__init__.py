"""The tab 'Enrichment report' of a task instance: a plugin of Airflow's API server."""
