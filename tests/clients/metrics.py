"""Reads an exposition from a file with the parser of prometheus_client, which fails at what
OpenMetrics does not allow. Prints how many families there are."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with open(sys.argv[1], encoding="utf-8") as file:
    families = list(text_string_to_metric_families(file.read()))
names = [family.name for family in families]
assert len(names) == len(set(names)), names
for family in families:
    assert family.samples, family.name
    assert family.documentation, family.name
print(len(families))
