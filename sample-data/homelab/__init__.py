"""A made-up homelab: its workloads, what they use, and every form in which that is written down."""
