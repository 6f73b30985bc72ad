"""What is printed: a table a row, and what became of its goals."""
import dataclasses


@dataclasses.dataclass
class Goal:
    """A figure that is to be at most `limit`, or, the other way, at least."""
    what: str
    value: float
    limit: float
    form: str = "{:.2f}"
    at_least: bool = False

    def line(self):
        reached = self.value >= self.limit if self.at_least else self.value <= self.limit
        value, limit = self.form.format(self.value), self.form.format(self.limit)
        return (f"- {self.what}: **{value}**, goal {'≥' if self.at_least else '≤'} {limit}: "
                f"{'reached' if reached else 'MISSED'}")


@dataclasses.dataclass
class Section:
    title: str
    head: list
    lines: list
    goals: list
    notes: list = dataclasses.field(default_factory=list)
    # Windows that others took part in, and all.
    disturbed: tuple = (0, 0)

    def text(self):
        table = ["| " + " | ".join(self.head) + " |", "|" + "---|" * len(self.head)]
        table += ["| " + " | ".join(line) + " |" for line in self.lines]
        goals = [goal.line() for goal in self.goals]
        notes = [f"- {note}" for note in self.notes]
        if self.disturbed[0]:
            notes.append("- the machine had other work in {} of {} windows".format(*self.disturbed))
        return "\n".join([f"## {self.title}", "", *table, "", *goals, *notes, ""])

    def data(self):
        return {"title": self.title, "head": self.head, "lines": self.lines,
                "goals": [dataclasses.asdict(goal) for goal in self.goals], "notes": self.notes,
                "disturbed": self.disturbed}


def us(value):
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def count(value):
    return f"{value:,.0f}"
