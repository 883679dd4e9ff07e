"""A bolted joint after VDI 2230-1:2015, clamped concentrically, tightened to a torque."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

import mecapy
from mecapy import Force, Length, Moment, Port, Pressure, Stress

StrengthClass = Literal["8.8", "10.9", "12.9"]
# Rp0.2 of ISO 898-1, MPa: of sizes up to M16, then above.
PROOF_STRESS = {"8.8": (640.0, 660.0), "10.9": (940.0, 940.0), "12.9": (1100.0, 1100.0)}


@dataclass
class Bolt:
    """A bolt with a metric thread."""

    diameter: Annotated[float, Length("mm", "Nominal diameter d")]
    pitch: Annotated[float, Length("mm")]
    bearing_diameter: Annotated[float, Length("mm", "Of the head's bearing face, dW")]
    strength_class: StrengthClass
    shank_length: Annotated[float, Length("mm", "Unthreaded part of the grip")] = 0.0
    elastic_modulus: Annotated[float, Pressure("MPa")] = 205_000.0

    def __post_init__(self) -> None:
        if not 0 < self.pitch <= 0.25 * self.diameter:
            raise ValueError(f"a pitch of {self.pitch} mm doesn't fit the diameter")

    @property
    def proof_stress(self) -> float:
        """Rp0.2, MPa."""
        return PROOF_STRESS[self.strength_class][0 if self.diameter <= 16 else 1]


@dataclass
class Members:
    """The parts that are clamped, as one."""

    clamp_length: Annotated[float, Length("mm")]
    hole_diameter: Annotated[float, Length("mm")]
    outer_diameter: Annotated[float, Length("mm")]
    elastic_modulus: Annotated[float, Pressure("MPa")]
    pressure_limit: Annotated[float, Pressure("MPa", "Under the head, pG")]


@dataclass
class Friction:
    """Coefficients of friction."""

    thread: float
    head: float
    interface: float


@dataclass
class Tightening:
    """How it is tightened."""

    torque: Annotated[float, Moment("N*m")]
    scatter: Annotated[float, Port("Greatest over least preload")]
    embedding: Annotated[float, Length("mm")] = 0.0


@dataclass
class Loads:
    """What acts on the joint."""

    axial_max: Annotated[float, Force("N")]
    axial_min: Annotated[float, Force("N")] = 0.0
    transverse: Annotated[float, Force("N")] = 0.0
    introduction_factor: float = 1.0


# `yield` is a word of Python's own, so that the class can't be written as the others.
Safety = TypedDict(
    "Safety",
    {
        "yield": float,
        "fatigue": float | None,
        "pressure": float,
        "slip": float | None,
    },
)


@dataclass
class Joint:
    """What comes of it; a safety of a load that isn't there is null."""

    preload_max: Annotated[float, Force("N")]
    preload_min: Annotated[float, Force("N")]
    embedding_loss: Annotated[float, Force("N")]
    bolt_resilience: Annotated[float, Port(unit="mm/N")]
    member_resilience: Annotated[float, Port(unit="mm/N")]
    load_factor: Annotated[float, Port("Share of the axial load that the bolt takes")]
    residual_clamp_load: Annotated[float, Force("N")]
    opens: bool
    bolt_load: Annotated[float, Force("N")]
    bolt_stress: Annotated[float, Stress("MPa")]
    equivalent_stress: Annotated[float, Stress("MPa")]
    stress_amplitude: Annotated[float, Stress("MPa")]
    bearing_pressure: Annotated[float, Pressure("MPa")]
    safety: Safety


@mecapy.function(validity="bolt_load > 0", on_violation="flag")
def bolted_joint(
    bolt: Bolt,
    members: Members,
    friction: Friction,
    tightening: Tightening,
    loads: Loads,
    diagram: Annotated[bool, Port("Leaves the joint diagram as diagram.csv")] = False,
) -> Joint:
    """Preload, load factor, working stresses and safeties of a bolted joint."""
    check(bolt, members, tightening, loads)
    # Lengths in mm and forces in N, so the torque comes in N mm (R13).
    d, pitch = bolt.diameter, bolt.pitch
    d2, d3 = d - 0.649519 * pitch, d - 1.226869 * pitch
    head = (bolt.bearing_diameter + members.hole_diameter) / 4 * friction.head
    lever = 0.16 * pitch + 0.58 * d2 * friction.thread + head
    preload = tightening.torque * 1000 / lever
    preload_min = preload / tightening.scatter

    delta_s = bolt_resilience(bolt, members, d3)
    delta_p = member_resilience(bolt, members)
    load_factor = loads.introduction_factor * delta_p / (delta_s + delta_p)
    loss = tightening.embedding / (delta_s + delta_p)
    residual = preload_min - loss - (1 - load_factor) * loads.axial_max
    bolt_load = preload + load_factor * loads.axial_max
    if diagram:
        keep_diagram(preload, delta_s, delta_p, bolt_load)

    # At the working load, half of the torsion has settled (R8).
    d0 = (d2 + d3) / 2
    area = math.pi * d0**2 / 4
    stress = bolt_load / area
    torsion = preload * d2 / 2 * (pitch / (math.pi * d2) + 1.155 * friction.thread)
    torsional_stress = torsion / (math.pi * d0**3 / 16)
    equivalent = math.sqrt(stress**2 + 3 * (0.5 * torsional_stress) ** 2)
    # Rolled before heat treatment (R9).
    amplitude = load_factor * (loads.axial_max - loads.axial_min) / (2 * area)
    endurance = 0.85 * (150 / d + 45)
    face = math.pi / 4 * (bolt.bearing_diameter**2 - members.hole_diameter**2)
    pressure = bolt_load / face
    held = residual * friction.interface
    return Joint(
        preload_max=preload,
        preload_min=preload_min,
        embedding_loss=loss,
        bolt_resilience=delta_s,
        member_resilience=delta_p,
        load_factor=load_factor,
        residual_clamp_load=residual,
        opens=residual <= 0,
        bolt_load=bolt_load,
        bolt_stress=stress,
        equivalent_stress=equivalent,
        stress_amplitude=amplitude,
        bearing_pressure=pressure,
        safety={
            "yield": bolt.proof_stress / equivalent,
            "fatigue": endurance / amplitude if amplitude > 0 else None,
            "pressure": members.pressure_limit / pressure,
            "slip": held / loads.transverse if loads.transverse > 0 else None,
        },
    )


def bolt_resilience(bolt: Bolt, members: Members, d3: float) -> float:
    """The bolt as springs in series, mm/N (section 5.1.1)."""
    d, shank = bolt.diameter, bolt.shank_length
    nominal, core = math.pi * d**2 / 4, math.pi * d3**2 / 4
    free = members.clamp_length - shank
    lengths = (0.5 * d + shank) / nominal + (free + 0.5 * d) / core + 0.4 * d / nominal
    return lengths / bolt.elastic_modulus


def member_resilience(bolt: Bolt, members: Members) -> float:
    """Two deformation cones, and a sleeve where they reach the outer diameter, mm/N."""
    dw, dh = bolt.bearing_diameter, members.hole_diameter
    outer, clamp = members.outer_diameter, members.clamp_length
    sleeve_area = math.pi / 4 * (outer**2 - dh**2)
    if outer <= dw:
        return clamp / (members.elastic_modulus * sleeve_area)
    slope = 0.362 + 0.032 * math.log(clamp / (2 * dw)) + 0.153 * math.log(outer / dw)
    if slope <= 0:
        raise ValueError("the grip is too short for the cones of VDI 2230")
    widest = min(outer, dw + clamp * slope)
    ratio = (dw + dh) * (widest - dh) / ((dw - dh) * (widest + dh))
    cones = 2 * math.log(ratio) / (math.pi * dh * slope)
    sleeve = max(0.0, clamp - (widest - dw) / slope) / sleeve_area
    return (cones + sleeve) / members.elastic_modulus


def keep_diagram(
    preload: float, delta_s: float, delta_p: float, bolt_load: float
) -> None:
    """Points of the joint diagram: elongation in µm, force in N."""
    stretch, squeeze = preload * delta_s, preload * delta_p
    points = [
        ("bolt", 0.0, 0.0),
        ("bolt", stretch, preload),
        ("bolt", bolt_load * delta_s, bolt_load),
        ("members", stretch, preload),
        ("members", stretch + squeeze, 0.0),
    ]
    lines = [f"{part},{x * 1000:.3f},{force:.1f}\n" for part, x, force in points]
    text = "part,elongation_um,force_n\n" + "".join(lines)
    mecapy.artifact(text.encode(), "diagram.csv")


def check(bolt: Bolt, members: Members, tightening: Tightening, loads: Loads) -> None:
    """Raises ValueError for what can be no joint."""
    hole = members.hole_diameter
    if not bolt.diameter < hole < min(bolt.bearing_diameter, members.outer_diameter):
        raise ValueError(
            f"a hole of {hole} mm is no hole between bolt, head and members"
        )
    if not 0 <= bolt.shank_length <= members.clamp_length:
        raise ValueError("the shank is longer than the grip")
    if tightening.torque <= 0 or tightening.scatter < 1 or tightening.embedding < 0:
        raise ValueError("a torque, a scatter from 1 on and an embedding are needed")
    if not 0 < loads.introduction_factor <= 1:
        raise ValueError("the introduction factor lies between 0 and 1")
    if not loads.axial_min <= loads.axial_max or loads.axial_max < 0:
        raise ValueError("axial_max must not be negative, nor less than axial_min")
