"""The report of a study: one HTML file, from what its database and its export's folder hold."""
