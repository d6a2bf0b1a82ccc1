"""Temperature, power and power modes from fake trees, and the rule with a fake clock."""

from pathlib import Path

import pytest
from aisle.edge_devices.heat import Thermostat, joules, power_mode, temperatures, watts, whole_power
from aisle.edge_devices.profile import Heat
from hypothesis import given
from hypothesis import strategies as st


def plant(root: Path, **files: str) -> Path:
    """Writes files; `__` in a name is a folder's slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def zones(root: Path, **degrees: str) -> Path:
    for i, (kind, text) in enumerate(degrees.items()):
        folder = root / f"sys/class/thermal/thermal_zone{i}"
        folder.mkdir(parents=True)
        (folder / "type").write_text(kind.replace("_", "-") + "\n")
        (folder / "temp").write_text(text)
    return root


def test_zones_are_read_in_degrees(tmp_path):
    zones(tmp_path, cpu_thermal="51250\n", gpu_thermal="48000\n")
    assert temperatures(tmp_path) == {"cpu-thermal": 51.25, "gpu-thermal": 48.0}
    assert temperatures(tmp_path, ("gpu-thermal",)) == {"gpu-thermal": 48.0}


@pytest.mark.parametrize("text", ["", "n/a", "-256000", "999000", "12 34", "99999999999999999999", "1e3"])
def test_nonsense_is_left_out(tmp_path, text):
    zones(tmp_path, cpu_thermal="40000", pmic=text)
    assert temperatures(tmp_path) == {"cpu-thermal": 40.0}


def test_without_zones_the_cpus_own_sensor_counts(tmp_path):
    plant(tmp_path, sys__class__hwmon__hwmon0__name="k10temp\n", sys__class__hwmon__hwmon0__temp1_input="61000",
          sys__class__hwmon__hwmon0__temp3_input="70500", sys__class__hwmon__hwmon1__name="nvme",
          sys__class__hwmon__hwmon1__temp1_input="99000")
    assert temperatures(tmp_path) == {"k10temp": 70.5}
    assert temperatures(tmp_path / "nothing") == {}


def test_a_jetsons_power_mode_has_its_name(tmp_path):
    plant(tmp_path, var__lib__nvpmodel__status="pmode:0002\n")
    (tmp_path / "etc").mkdir()
    assert power_mode(tmp_path, "var/lib/nvpmodel/status") == "pmode:0002"
    (tmp_path / "etc/nvpmodel.conf").write_text("< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=MODE_15W >\n")
    assert power_mode(tmp_path, "var/lib/nvpmodel/status") == "MODE_15W"


def test_elsewhere_it_is_the_platforms_or_the_governors(tmp_path):
    assert power_mode(tmp_path) == ""
    plant(tmp_path, sys__devices__system__cpu__cpu0__cpufreq__scaling_governor="schedutil\n")
    assert power_mode(tmp_path) == "schedutil"
    plant(tmp_path, sys__firmware__acpi__platform_profile="balanced\n")
    assert power_mode(tmp_path, "var/lib/nvpmodel/status") == "balanced"


def test_rails_of_an_ina3221(tmp_path):
    h = "sys__class__hwmon__hwmon3__"
    plant(tmp_path, **{h + "name": "ina3221", h + "in1_label": "VDD_IN", h + "in1_input": "5000", h + "curr1_input": "1440",
                       h + "in2_label": "VDD_CPU_GPU_CV", h + "in2_input": "5000", h + "curr2_input": "x"})
    assert watts(tmp_path) == {"VDD_IN": pytest.approx(7.2)} and whole_power(watts(tmp_path)) == pytest.approx(7.2)
    assert whole_power({"VDD_CPU_GPU_CV": 1.0}) is None


def test_energy_counters_of_packages_alone(tmp_path):
    h = "sys__class__powercap__intel-rapl:0"
    plant(tmp_path, **{h + "__name": "package-0", h + "__energy_uj": "2500000", h + ":0__name": "core",
                       h + ":0__energy_uj": "1"})
    assert joules(tmp_path) == {"package-0": 2.5}


RULE = Heat(hot_c=85, cool_c=75, after_s=3)


def drive(thermostat, *readings):
    """Levels after one reading a second."""
    levels = []
    for second, degrees in enumerate(readings):
        thermostat.look(float(second), {} if degrees is None else {"a": degrees, "b": 20.0})
        levels.append(thermostat.level)
    return levels


def test_it_waits_before_it_acts_and_acts_again_while_it_stays_hot():
    assert drive(Thermostat(RULE), *[90] * 9) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_between_the_two_nothing_changes():
    thermostat = Thermostat(RULE)
    assert drive(thermostat, *[90] * 4, *[80] * 20)[-1] == 1
    assert thermostat.steps == ("variant",) and thermostat.hottest == 80


def test_it_takes_back_one_step_after_another():
    assert drive(Thermostat(RULE), *[90] * 7, *[70] * 8) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 0, 0]


def test_a_spike_does_nothing():
    assert max(drive(Thermostat(RULE), *[90, 90, 80, 90, 90, 80] * 5)) == 0


def test_a_sensor_that_is_gone_leaves_things_as_they_are():
    assert drive(Thermostat(RULE), *[90] * 4, *[None] * 10)[-1] == 1


def test_without_a_rule_nothing_is_ever_hot():
    assert max(drive(Thermostat(Heat()), *[150] * 20)) == 0


@given(st.lists(st.floats(0, 120), min_size=1, max_size=80))
def test_the_level_stays_in_its_range_and_moves_by_one(readings):
    thermostat, before = Thermostat(RULE), 0
    for second, degrees in enumerate(readings):
        moved = thermostat.look(float(second), {"a": degrees})
        assert thermostat.level == before + moved and 0 <= thermostat.level <= 2
        before = thermostat.level
