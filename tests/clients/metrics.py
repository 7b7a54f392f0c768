"""Reads an exposition from standard input with the parser of prometheus_client, which fails at what
OpenMetrics does not allow. Prints how many families there are."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
names = [family.name for family in families]
assert len(names) == len(set(names)), names
for family in families:
    assert family.samples, family.name
    assert family.documentation, family.name
print(len(families))
