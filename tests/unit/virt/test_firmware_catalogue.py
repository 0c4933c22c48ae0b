import json

from estampe.virt import firmware_catalogue


def descriptor(directory, name, *, features=(), architecture="x86_64", size=1024, **mapping):
    directory.mkdir(exist_ok=True)
    code, variables = directory / f"{name}.code", directory / f"{name}.vars"
    code.write_bytes(b"")
    variables.write_bytes(bytes(size))
    text = {
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(code), "format": "raw"},
            "nvram-template": {"filename": str(variables), "format": "raw"},
        }
        | mapping,
        "targets": [{"architecture": architecture, "machines": ["pc-q35-*"]}],
        "features": list(features),
    }
    (directory / f"{name}.json").write_text(json.dumps(text))
    return str(code)


def paths(*directories):
    return [image.path for image in firmware_catalogue.images("x86_64", directories=directories) if "tmp" in image.path]


def test_firmware_is_told_in_the_descriptors_order_with_its_traits(tmp_path):
    directory = tmp_path / "d"
    plain = descriptor(directory, "60-plain", size=528)
    secure = descriptor(directory, "50-secure", features=["secure-boot"])
    found = [image for image in firmware_catalogue.images("x86_64", directories=[directory]) if "tmp" in image.path]
    assert [(image.path, image.has_secure_boot, image.nvram_size_bytes) for image in found] == [
        (secure, True, 1024),
        (plain, False, 528),
    ]


def test_a_namesake_in_the_first_directory_overrides_and_an_empty_one_hides(tmp_path):
    usr, etc = tmp_path / "usr", tmp_path / "etc"
    descriptor(usr, "50-a")
    descriptor(usr, "60-b")
    own = descriptor(etc, "50-a")
    (etc / "60-b.json").write_text("")
    assert paths(etc, usr) == [own]


def test_what_does_not_fit_is_passed_over(tmp_path):
    directory = tmp_path / "d"
    descriptor(directory, "10-arm", architecture="aarch64")
    descriptor(directory, "20-sev", features=["amd-sev-es"])
    descriptor(directory, "30-qcow2", executable={"filename": "/x", "format": "qcow2"})
    descriptor(directory, "40-stateless", mode="stateless")
    descriptor(directory, "50-memory", device="memory")
    (directory / "60-broken.json").write_text('{"mapping": 7}')
    descriptor(directory, "70-gone")
    (directory / "70-gone.code").unlink()
    assert paths(directory) == []
    assert firmware_catalogue.images("riscv64", directories=[directory]) == ()
