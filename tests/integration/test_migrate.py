"""`torchfleet migrate` between stores, with real processes."""
import os
import subprocess

import pytest

from etcd_cluster import EtcdCluster
from fleet import BIN, SLOW, grpc
from torchfleet.registry.v1 import catalogue_pb2 as pb
from torchfleet.registry.v1 import catalogue_pb2_grpc as services


def migrate(source, target, *arguments):
    return subprocess.run(
        [os.path.join(BIN, "torchfleet"), "migrate", "--from", source, "--to", target, *arguments],
        capture_output=True, text=True, timeout=60 * SLOW, check=False)


def with_registry(fleet, store, use):
    """What `use` returns for the catalogue of a registry that keeps that store."""
    registry = fleet.start("torchfleet-registry", "--listen", "127.0.0.1:0", "--store", store)
    with grpc.insecure_channel(registry.address) as channel:
        result = use(services.CatalogueServiceStub(channel))
    assert registry.terminate() == 0
    return result


def fill(catalogue):
    def model(label, *versions):
        return pb.Model(name="mnist", labels={"owner": label}, aliases={"prod": "3"},
                        versions=[pb.ModelVersion(version=v) for v in versions])
    made = catalogue.CreateModel(pb.CreateModelRequest(model=model("ann", "3"), actor="ann"))
    catalogue.CreateModel(pb.CreateModelRequest(model=pb.Model(name="gone"), actor="bob"))
    catalogue.SetRoute(pb.SetRouteRequest(actor="cid", route=pb.Route(model="mnist", rules=[
        pb.RouteRule(targets=[pb.RouteTarget(alias="prod")])])))
    catalogue.UpdateModel(pb.UpdateModelRequest(
        model=model("dora", "3", "4"), revision=made.model.revision, actor="dora"))
    catalogue.DeleteModel(pb.DeleteModelRequest(name="gone", actor="eve"))


def contents(catalogue):
    """Everything but the numbers of revisions, which are each store's own; of
    changes, in their order, whether they are what made the present state."""
    models = catalogue.ListModels(pb.ListModelsRequest()).models
    routes = catalogue.ListRoutes(pb.ListRoutesRequest()).routes
    changes = catalogue.ListChanges(pb.ListChangesRequest()).changes
    present = {r.revision for r in (*models, *routes)}
    made = [c.revision in present for c in changes]
    for message in (*models, *routes, *changes):
        message.ClearField("revision")
    for change in changes:
        getattr(change, change.WhichOneof("resource")).ClearField("revision")
    return list(models), list(routes), list(changes), made


def test_sqlite_to_etcd_and_back_keeps_everything(fleet, tmp_path):
    first, last = (f"sqlite:{tmp_path}/{name}.db" for name in ("first", "last"))
    with_registry(fleet, first, fill)
    expected = with_registry(fleet, first, contents)
    models, routes, changes, made = expected
    assert (len(models), len(routes), len(changes), sum(made)) == (1, 1, 5, 2)
    with EtcdCluster(tmp_path) as etcd:
        for source, target in ((first, etcd.store()), (etcd.store(), last)):
            done = migrate(source, target)
            assert done.returncode == 0, done.stderr
            assert "models=1 routes=1 changes=5" in done.stderr
            assert with_registry(fleet, target, contents) == expected

        refused = migrate(first, etcd.store())
        assert refused.returncode == 1 and "--force" in refused.stderr
        assert migrate(first, etcd.store(), "--force").returncode == 0
        assert with_registry(fleet, etcd.store(), contents) == expected


@pytest.mark.parametrize("source, target, said", [
    ("memory", "sqlite:x.db", "memory is gone with its process"),
    ("sqlite:x.db", "sqlite:x.db", "are the same"),
    ("etcd:nowhere", "sqlite:x.db", "HOST:PORT"),
])
def test_what_cannot_be_migrated_is_wrong_usage(source, target, said):
    done = migrate(source, target)
    assert done.returncode == 2 and said in done.stderr
