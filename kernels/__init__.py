"""Arrays in, arrays out: the ops that decide latency. Knows nothing of servers, models or devices."""
