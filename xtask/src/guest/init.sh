#!/bin/sh
# The first process of a test guest: sets the machine up, runs what the host asked for, says how that ended, powers off.
# /dev/ttyS0 is the kernel's console; /dev/ttyS1 carries the report, so that no kernel message cuts a line of it in two.
export PATH=/usr/sbin:/usr/bin HOME=/root TRACER_BIN=/bin/tracer RUST_BACKTRACE=1

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
hostname guest
ip link set lo up

. /etc/guest/settings

if [ "$share" = yes ]; then
    modprobe -a virtio_pci 9pnet_virtio 9p
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 host /host || echo "guest: cannot mount /host"
fi

if [ "$shell" = yes ]; then
    echo "Kernel $(uname -r). tracer and scenarios are in /bin. Leave with 'exit'; Ctrl-A x stops the machine at once."
    interactive=sh
    command -v bash >/dev/null && interactive=bash
    setsid sh -c "exec $interactive </dev/ttyS0 >/dev/ttyS0 2>&1"
else
    stty -F /dev/ttyS1 raw -echo
    # The report's last close waits until every byte is out.
    (
        echo "guest: up"
        /etc/guest/command
        echo "guest: exit status $?"
    ) </dev/null >/dev/ttyS1 2>&1
fi
poweroff -f
