"""The only folder that knows HTTP: OIP, jobs and pages."""
