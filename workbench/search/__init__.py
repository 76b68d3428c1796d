"""Search: scans, studies, new networks and the places where their trials run."""
