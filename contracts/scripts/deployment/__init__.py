"""Deploys the contracts to one chain at addresses known beforehand, and proves that what lies there is what was built."""
