from pipeline.worker.contract import ActivityContract, Contract


def contract(**schema: object) -> Contract:
    return Contract(activities=(ActivityContract(name="identify", input=schema, output=None),))


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert contract(type="object", title="A").digest == contract(title="A", type="object").digest


def test_the_digest_changes_with_a_schema() -> None:
    assert contract(type="object").digest != contract(type="string").digest
