#!/usr/bin/env bash
# The compiled kernels on aarch64 without such a machine: cross-compiled here, then their tests run by Debian's arm64 Python
# under qemu, once as a CPU with dot products of int8 (SDOT) and once as one without. That checks what the NEON code computes;
# it says nothing about speed. All of it lies in build/aarch64, nothing is installed, and a second run fetches nothing.
# Arguments go to pytest instead of the usual tests: `bash tests/kernels/aarch64.sh tests/kernels/test_knn.py`.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD home=$PWD/build/aarch64
tests=("$@")
[ $# -gt 0 ] || tests=(tests/kernels/test_contract.py tests/kernels/test_{check,op,knn,kcenter,mahalanobis,letterbox,topk}.py)

skip() { echo "aarch64 is not checked: $*"; exit 0; }

for tool in aarch64-linux-gnu-g++ qemu-aarch64-static apt-get dpkg-deb; do
    command -v $tool >/dev/null || skip "$tool is missing; on Debian: apt-get install g++-aarch64-linux-gnu qemu-user-static"
done

# Debian's Python for arm64 with all that it needs, by an apt of its own that knows of no installed package.
fetch_python() {
    local apt=$home/apt
    mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial "$home/root.new" && : > "$apt/state/status"
    cat > "$apt/conf" <<END
APT::Architecture "arm64"; APT::Architectures { "arm64"; }; Debug::NoLocking "true"; APT::Sandbox::User "root";
Dir::State "$apt/state"; Dir::State::status "$apt/state/status"; Dir::Cache "$apt/cache"; DPkg::Post-Invoke {};
END
    export APT_CONFIG=$apt/conf
    apt-get -qq update || return 1
    local version
    version=$(apt-cache depends python3-minimal | sed -n 's/.*Depends: \(python3\.[0-9]*\)-minimal.*/\1/p')
    apt-get -qq -y --no-install-recommends --download-only install \
        "$version-minimal" "lib$version-dev" libstdc++6 >/dev/null || return 1
    unset APT_CONFIG
    for deb in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$deb" "$home/root.new"; done
    rm -rf "$home/root" "$apt" && mv "$home/root.new" "$home/root"
}

fetch_wheels() {
    "$here/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$home/site.new" --only-binary=:all: \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
        --implementation cp --python-version "$1" 'numpy>=2' opencv-python-headless hypothesis pytest tqdm || return 1
    rm -rf "$home/site" && mv "$home/site.new" "$home/site"
}

compile() {
    local op=$1 python=$2
    aarch64-linux-gnu-g++ -O2 -std=c++17 -fno-math-errno -fno-trapping-math -ffp-contract=off -fvisibility=hidden -fPIC \
        -shared -w -Ikernels "-Ikernels/$op" "-I$home/root/usr/include" "-I$home/root/usr/include/$python" \
        "kernels/$op/fast.cpp" -o "kernels/$op/fast.cpython-${python//[a-z.]/}-aarch64-linux-gnu.so"
}

mkdir -p "$home"
[ -d "$home/root" ] || fetch_python || skip "Debian's packages of Python for arm64 could not be had"
python=$(basename "$(ls -d "$home"/root/usr/bin/python3.*[0-9] | head -1)")
[ -d "$home/site" ] || fetch_wheels "${python#python}" || skip "wheels of NumPy and others for aarch64 could not be had"

rm -rf "$home/tree" && mkdir -p "$home/tree/aisle"
tar -cf - --exclude='*.so' --exclude=__pycache__ __init__.py py.typed pyproject.toml kernels bench models/make models/*.py \
    tests/kernels | tar -xf - -C "$home/tree/aisle"
cd "$home/tree/aisle"
export -f compile && export home
printf '%s\n' kernels/*/fast.cpp | xargs -P 2 -I{} bash -c 'compile "$(basename "$(dirname {})")" '"$python"

export PYTHONPATH=$home/tree:$home/site PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
for QEMU_CPU in max cortex-a53; do
    export QEMU_CPU
    run=(qemu-aarch64-static -L "$home/root" "$home/root/usr/bin/$python")
    "${run[@]}" -c "from aisle.kernels import knn; from aisle.kernels._op import choices; \
        print('aarch64 under qemu as $QEMU_CPU: knn is', choices()['knn'].variant, choices()['knn'].level)"
    "${run[@]}" -m pytest -q -x -p no:cacheprovider "${tests[@]}"
done
rm -rf "$home/tree"
