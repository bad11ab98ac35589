import time

import torch

from malmoi.factory.train.peak import measured_peak


def test_the_peak_is_positive_and_measured_once() -> None:
    first = measured_peak(torch.float32, seconds=0.3)
    began = time.process_time()
    again = measured_peak(torch.float32, seconds=0.3)

    assert first == again
    assert time.process_time() - began < 0.1
    assert 1e8 < first < 1e16
