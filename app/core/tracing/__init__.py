"""Traces of requests, jobs and calls, sent to a collector over OTLP where the environment names one; else nothing."""
