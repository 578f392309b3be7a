// SPDX-License-Identifier: Apache-2.0

package storage

// PlanMounts plans the mounts of container cid.
func PlanMounts(cid string, mounts []Mount, facts Facts, c Capabilities) (Plan, error) {
	if err := checkID(cid); err != nil {
		return Plan{}, err
	}
	p := planner{cid: cid, facts: facts, caps: c}
	for _, m := range mounts {
		if err := p.add(m); err != nil {
			return Plan{}, err
		}
	}
	return p.plan, nil
}
