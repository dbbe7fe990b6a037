"""Load for real proxies: the processes, what they are, and what they say."""
