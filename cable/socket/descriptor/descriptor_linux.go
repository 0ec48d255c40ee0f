package descriptor

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The descriptors are non-blocking. A raw system call skips the runtime's preparation for a thread
// that blocks, which costs a tenth of a write, and wakes other threads if the call takes 20 µs.

// Write writes as much as the kernel takes. broken means that the connection is gone.
func Write(fd int, p []byte) (n int, broken bool) {
	for {
		r, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(r), false
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, false
		}
		return 0, true
	}
}

// Read reads what has arrived. It returns 0 and nil if nothing has, and io.EOF at the end.
func Read(fd int, p []byte) (n int, err error) {
	r, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return 0, nil
	case errno != 0:
		return 0, errno
	case r == 0:
		return 0, io.EOF
	}
	return int(r), nil
}

// Accept accepts a connection. The error is EAGAIN if none waits.
func Accept(listening int) (fd int, remote netip.AddrPort, err error) {
	var from unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	r, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listening), uintptr(unsafe.Pointer(&from)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, remote, errno
	}
	unix.SetsockoptInt(int(r), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // as package net does
	return int(r), address(&from), nil
}

func address(from *unix.RawSockaddrAny) netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	switch from.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(from))
		ip := netip.AddrFrom16(in.Addr).Unmap()
		if in.Scope_id != 0 {
			if zone, err := net.InterfaceByIndex(int(in.Scope_id)); err == nil {
				ip = ip.WithZone(zone.Name)
			}
		}
		return netip.AddrPortFrom(ip, port(&in.Port))
	}
	return netip.AddrPort{}
}

// Close closes a descriptor.
func Close(fd int) { syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0) }

// CloseWrite ends a connection in our direction, after what has been written.
func CloseWrite(fd int) { syscall.Shutdown(fd, syscall.SHUT_WR) }

// Duplicate returns another descriptor of the same connection.
func Duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

// Shutdown ends a connection in both directions, so that a Poller reports it.
func Shutdown(fd int) { syscall.Shutdown(fd, syscall.SHUT_RDWR) }
