"""What `colonnade budgets` prints of a budget, line by line."""

from __future__ import annotations

import json

import pytest
from google.protobuf.duration_pb2 import Duration

from colonnade.v1.budgets_pb2 import Budget, BudgetAlert, BudgetLease
from colonnade.v1.spending_pb2 import Spending
from colonnade.v1.usage_pb2 import Money
from colonnaded.cli.budget_views import print_budget, print_budgets, print_spending

Printed = pytest.CaptureFixture[str]


def usd(amount: str) -> Money:
    return Money(amount=amount, currency_code="USD")


def a_budget() -> Budget:
    return Budget(
        budget_id="mine?tenant=acme",
        tenant="acme",
        window="rolling day",
        hard=True,
        limit=usd("20"),
        spent=usd("15.5"),
        held=usd("0.25"),
    )


def test_a_line_tells_how_much_is_spent(capsys: Printed) -> None:
    print_budgets([a_budget()], as_json=False)
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split("  ")[0] == "mine?tenant=acme"
    assert "rolling day  hard  20 USD  15.5   77.5 %  0.25  -" in line
    print_budgets([], as_json=False)
    assert capsys.readouterr().out == "no budgets of which anything was spent\n"


def test_who_holds_it_and_what_was_told(capsys: Printed) -> None:
    budget = a_budget()
    budget.leases.add(holder="b1.1", amount=usd("0.2"), left=Duration(seconds=21))
    budget.leases.append(BudgetLease(holder="b0.1", amount=usd("0.05"), closing=True))
    alert = BudgetAlert(threshold="0.5", limit=usd("20"), spent=usd("10.1"))
    budget.alerts.append(alert)
    print_budget(budget, as_json=False)
    printed = capsys.readouterr().out
    assert "b1.1, 0.2 USD for 21 s" in printed
    assert "b0.1, gone, 0.05 USD not booked yet" in printed
    assert "50 % of 20 USD reached at" in printed


def test_json_has_the_names_of_the_contract(capsys: Printed) -> None:
    print_budgets([a_budget()], as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert found["budget_id"] == "mine?tenant=acme"
    assert found["spent"] == {"amount": "15.5", "currency_code": "USD"}


def test_what_was_spent_is_a_line_each(capsys: Printed) -> None:
    spent = Spending(tenant="acme", value="k1", cost=usd("1.5"), calls=3, unpriced_calls=1)
    print_spending([spent], as_json=False)
    assert "acme    k1   1.5 USD  3      1         0" in capsys.readouterr().out
    print_spending([], as_json=False)
    assert capsys.readouterr().out == "nothing was spent in this time\n"
