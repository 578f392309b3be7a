// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// filterPriority marks our filters: tc hands out priorities downwards from
	// 49152 when the user names none, and users name small ones.
	filterPriority = 27504
	// busyTries bounds the tries of a request that the kernel answers with
	// EBUSY, for which it has no event: 1+2+4+...+64 ms in all.
	busyTries = 8
)

// ingress is the handle of the ingress qdisc ("ffff:" to tc).
const ingress uint32 = 0xffff << 16

// redirect has every frame that comes in by the one link sent by the other. A
// failure leaves nothing at from.
func redirect(ns *namespace, from, to netlink.Link) error {
	qdisc := ingressOf(from)
	err := patiently(func() error { return ns.QdiscAdd(qdisc) })
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s has an ingress or clsact qdisc already: is it connected to another VM?: %w",
			from.Attrs().Name, errdefs.ErrAlreadyExists)
	}
	if err != nil {
		return fmt.Errorf("add an ingress qdisc to %s: %w: the kernel needs sch_ingress", from.Attrs().Name, err)
	}
	if err := addFilter(ns, from, to); err != nil {
		_ = ns.QdiscDel(qdisc)
		return fmt.Errorf("redirect %s to %s: %w: the kernel needs act_mirred, and cls_matchall or cls_u32",
			from.Attrs().Name, to.Attrs().Name, err)
	}
	return nil
}

func ingressOf(l netlink.Link) *netlink.Ingress {
	return &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index,
		Handle:    ingress,
		Parent:    netlink.HANDLE_INGRESS,
	}}
}

// addFilter takes the cheaper classifier where the kernel has it.
func addFilter(ns *namespace, from, to netlink.Link) error {
	action := netlink.NewMirredAction(to.Attrs().Index)
	action.Action = netlink.TC_ACT_STOLEN
	attrs := filterOf(from)
	matchall := &netlink.MatchAll{FilterAttrs: attrs, Actions: []netlink.Action{action}}
	err := patiently(func() error { return ns.FilterAdd(matchall) })
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	// No such classifier. A u32 filter without a selector matches everything.
	u32 := &netlink.U32{FilterAttrs: attrs, Actions: []netlink.Action{action}}
	return patiently(func() error { return ns.FilterAdd(u32) })
}

func filterOf(l netlink.Link) netlink.FilterAttrs {
	return netlink.FilterAttrs{
		LinkIndex: l.Attrs().Index,
		Parent:    ingress,
		Priority:  filterPriority,
		Protocol:  unix.ETH_P_ALL,
	}
}

// removeRedirect takes our filter from a link, and the ingress qdisc when no
// other filter is left in it.
func removeRedirect(ns *namespace, device string) error {
	l, err := ns.LinkByName(device)
	if err = missing(err); errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find %s in %s: %w", device, ns.path, err)
	}
	has, err := hasIngress(ns, l)
	if err != nil || !has {
		return err
	}
	mine, others, err := filters(ns, l)
	if err != nil {
		return fmt.Errorf("list the filters of %s in %s: %w", device, ns.path, err)
	}
	switch {
	case others == 0:
		err = patiently(func() error { return ns.QdiscDel(ingressOf(l)) })
	case mine != "": // without a handle, all filters of the priority go
		all := &netlink.GenericFilter{FilterAttrs: filterOf(l), FilterType: mine}
		err = patiently(func() error { return ns.FilterDel(all) })
	}
	if err != nil && !absent(err) {
		return fmt.Errorf("end the redirection of %s in %s: %w", device, ns.path, err)
	}
	return nil
}

// hasIngress reports an ingress qdisc. A clsact qdisc, which has the same
// handle, is never ours.
func hasIngress(ns *namespace, l netlink.Link) (bool, error) {
	list, err := ns.QdiscList(l)
	if err != nil && !absent(err) {
		return false, fmt.Errorf("list the qdiscs of %s in %s: %w", l.Attrs().Name, ns.path, err)
	}
	for _, q := range list {
		if q.Type() == "ingress" {
			return true, nil
		}
	}
	return false, nil
}

// filters looks into the ingress qdisc of a link: mine is the classifier of our
// filters, "" without any, and others counts those of others. The kernel removes
// filters only when their classifier is named as well.
func filters(ns *namespace, l netlink.Link) (mine string, others int, err error) {
	list, err := ns.FilterList(l, ingress)
	if absent(err) {
		return "", 0, nil
	}
	for _, f := range list {
		if f.Attrs().Priority == filterPriority {
			mine = f.Type()
		} else {
			others++
		}
	}
	return mine, others, err
}

// absent reports the errors of the kernel for a qdisc, filter or link that is
// not there; EINVAL is that of a missing ingress qdisc.
func absent(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}

// patiently repeats a request while the kernel is busy with the same object.
func patiently(request func() error) error {
	wait := time.Millisecond
	for try := 1; ; try++ {
		err := request()
		if !errors.Is(err, unix.EBUSY) || try == busyTries {
			return err
		}
		<-time.After(wait)
		wait *= 2
	}
}
