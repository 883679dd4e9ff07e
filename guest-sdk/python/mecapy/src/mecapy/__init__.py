"""For authors of computations: typed functions, units, progress and artifacts.

    from typing import Annotated
    import mecapy
    from mecapy import Force, Length, Stress

    @mecapy.function(validity="d > 0")
    def stress(
        F: Annotated[float, Force("N", "Axial force")],
        d: Annotated[float, Length("mm", "Diameter")],
    ) -> Annotated[float, Stress("MPa")]:
        \"\"\"Mean stress in a round bar.\"\"\"
        mecapy.progress(0.5, "dividing")
        return F / (3.141592653589793 * d**2 / 4)

It needs the standard library alone and is there in every sandbox. `python -m mecapy
test` runs a package's test cases on its author's machine, `python -m mecapy manifest`
writes its `mecapy.yml`.
"""

from typing import Any

from . import units as _units
from .faults import DeclarationError, Fault, InputError, OutputError
from .functions import Function, function, function_of
from .ports import Kind, file_note, note
from .surroundings import artifact, progress
from .units import Unit, UnitError

__all__ = [
    "Acceleration",
    "Angle",
    "Area",
    "DeclarationError",
    "Density",
    "Energy",
    "Fault",
    "File",
    "Force",
    "Force3",
    "Frequency",
    "Function",
    "InputError",
    "Length",
    "Mass",
    "Matrix",
    "Moment",
    "Moment3",
    "OutputError",
    "Port",
    "Power",
    "Pressure",
    "Stress",
    "Temperature",
    "Time",
    "Torsor",
    "Unit",
    "UnitError",
    "Vector3",
    "Velocity",
    "Volume",
    "artifact",
    "convert",
    "function",
    "function_of",
    "progress",
]

Length = Kind("Length")
Area = Kind("Area")
Volume = Kind("Volume")
Mass = Kind("Mass")
Density = Kind("Density")
Time = Kind("Time")
Frequency = Kind("Frequency")
Angle = Kind("Angle")
Force = Kind("Force")
Moment = Kind("Moment")
Pressure = Kind("Pressure")
Stress = Kind("Stress")
Temperature = Kind("Temperature")
Energy = Kind("Energy")
Power = Kind("Power")
Velocity = Kind("Velocity")
Acceleration = Kind("Acceleration")
Vector3 = Kind("Vector3", list[float])
Force3 = Kind("Force3", list[float])
Moment3 = Kind("Moment3", list[float])
Torsor = Kind("Torsor", dict[str, Any])
Matrix = Kind("Matrix", list[list[float]])
Port = note
File = file_note


def convert(value: float, unit: str, to: str) -> float:
    """A value in one unit as a value in another: `convert(1, "in", "mm")` is 25.4."""
    return float(_units.convert(value, _units.parse(unit), _units.parse(to)))
