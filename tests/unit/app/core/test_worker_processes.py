"""How many worker processes are meant, and which port each has."""

import pytest

from app.core.cores import usable_cores
from app.core.errors import ConfigurationError
from app.core.settings import Settings
from app.core.worker_processes import metrics_ports, worker_children


def settings(**given: object) -> Settings:
    return Settings.model_validate(given)


@pytest.mark.parametrize("number", ["1", "2", "256", 3])
def test_a_number_of_processes_is_taken_as_it_is(number: object) -> None:
    assert settings(worker_processes=number).worker_processes == int(str(number))


def test_auto_is_a_process_for_each_core() -> None:
    assert settings(worker_processes="auto").worker_processes == usable_cores()


def test_each_process_has_the_next_port() -> None:
    assert metrics_ports(settings(worker_processes=3)) == []
    assert metrics_ports(settings(worker_processes=3, metrics_port=0), others=1) == [0, 0, 0]
    assert metrics_ports(settings(worker_processes=3, metrics_port=9464)) == [9464, 9465, 9466]
    assert metrics_ports(settings(worker_processes=2, metrics_port=9464), others=1) == [9465, 9466]
    assert metrics_ports(settings(worker_processes=2, metrics_port=65_534)) == [65_534, 65_535]
    with pytest.raises(ConfigurationError, match="METRICS_PORT"):
        metrics_ports(settings(worker_processes=2, metrics_port=65_534), others=1)


def test_a_child_is_one_process_with_its_own_port_whatever_the_environment_says() -> None:
    environment = {"WORKER_PROCESSES": "2", "metrics_port": "1", "HOME": "/h"}
    found = worker_children(settings(worker_processes=2), environment=environment, metrics_ports=[7, 8])
    assert [(child.name, child._env["METRICS_PORT"]) for child in found] == [("worker 1", "7"), ("worker 2", "8")]
    for child in found:
        assert "metrics_port" not in child._env
        assert child._command[-2:] == ["--processes", "1"]
