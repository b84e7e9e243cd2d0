"""The Airflow provider: an operator that checks a pipeline and runs it on Spark."""
