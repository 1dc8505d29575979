"""Reads pages of metrics with Prometheus' own Python client: read_metrics.py [TEXT_PAGE OPENMETRICS_PAGE]... prints as
JSON what each holds: samples, {"NAME{LABEL=VALUE,...}": number}, and families, {"NAME": [type, unit]}."""
import json
import pathlib
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as open_parser


def read(page, parse):
    families, samples = {}, {}
    for family in parse(page):
        families[family.name] = [family.type, family.unit]
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}"] = sample.value
    return {"families": families, "samples": samples}


def main():
    pages = [pathlib.Path(name).read_bytes().decode() for name in sys.argv[1:]]
    formats = parser.text_string_to_metric_families, open_parser.text_string_to_metric_families
    json.dump([read(page, formats[i % 2]) for i, page in enumerate(pages)], sys.stdout)


if __name__ == "__main__":
    main()
