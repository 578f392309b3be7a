// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/katapod/katapod/integration/interrupt"
	"github.com/katapod/katapod/integration/node"
)

// defaultSeed is that of a run that names none: what fails for one person fails for all.
const defaultSeed = 20250

// defaultCycles take about ten minutes on two processors without hardware virtualization that have little else to do.
// Where they take longer than defaultMost, the rest is left out, and said so: each round of as many cycles as there are
// faults has every fault.
const (
	defaultCycles = 96
	defaultMost   = 17 * time.Minute
)

// settings are what a run is asked to do.
type settings struct {
	out, name string
	seed      uint64
	cycles    int
	only      []int         // the cycles to run again, none for all
	most      time.Duration // after which no further cycle begins, 0 for none
	first     int           // the first cycle of all
	list      bool          // print what would happen, and do nothing
}

func main() {
	s := settings{}
	flag.StringVar(&s.out, "out", "out", "the project's build output")
	flag.StringVar(&s.name, "name", "kpnode-chaos", "name of the node; one of each name runs at a time")
	flag.DurationVar(&s.most, "most", 0, "begin no further cycle after this time; 0 is no bound where CHAOS_N or CHAOS_CYCLE say how many, and 17 minutes otherwise")
	flag.IntVar(&s.first, "first", 0, "begin with this cycle")
	flag.BoolVar(&s.list, "list", false, "print the plans of the cycles, and do nothing")
	flag.Parse()
	ctx, stop := interrupt.Context()
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	if err := s.read(); err != nil {
		return err
	}
	fmt.Printf("CHAOS_SEED=%d CHAOS_N=%d\n", s.seed, s.cycles)
	if s.list {
		for _, i := range s.numbers() {
			fmt.Println(draw(s.seed, i))
		}
		return nil
	}
	began := time.Now()
	suite, err := newSuite(ctx, s)
	if err != nil {
		return err
	}
	var results []result
	for _, i := range s.numbers() {
		if ctx.Err() != nil {
			break
		}
		if s.most > 0 && time.Since(began) > s.most {
			fmt.Printf("%s are over: %d of %d cycles are left out; CHAOS_N=%d has them all\n", s.most, len(s.numbers())-len(results), len(s.numbers()), s.cycles)
			break
		}
		r := suite.cycle(ctx, draw(s.seed, i))
		fmt.Println(r)
		results = append(results, r)
	}
	printTable(os.Stdout, results)
	fmt.Printf("%d cycles in %s\n", len(results), time.Since(began).Round(time.Second))
	err = errors.Join(ctx.Err(), failures(s, results))
	return errors.Join(err, suite.close(err != nil))
}

// read takes the environment.
func (s *settings) read() error {
	seed, err := number("CHAOS_SEED", defaultSeed)
	if err != nil {
		return err
	}
	s.seed = uint64(seed)
	if s.cycles, err = number("CHAOS_N", defaultCycles); err != nil {
		return err
	}
	for text := range strings.SplitSeq(os.Getenv("CHAOS_CYCLE"), ",") {
		if text == "" {
			continue
		}
		i, err := strconv.Atoi(text)
		if err != nil || i < 0 {
			return fmt.Errorf("CHAOS_CYCLE is to be numbers with commas between them, and not %q", text)
		}
		s.only = append(s.only, i)
	}
	if s.most == 0 && os.Getenv("CHAOS_N") == "" && len(s.only) == 0 {
		s.most = defaultMost
	}
	if s.out, err = filepath.Abs(s.out); err != nil {
		return fmt.Errorf("find the build output: %w", err)
	}
	return nil
}

// numbers are the cycles to run.
func (s settings) numbers() []int {
	if len(s.only) > 0 {
		return s.only
	}
	var all []int
	for i := s.first; i < s.cycles; i++ {
		all = append(all, i)
	}
	return all
}

func number(variable string, otherwise int) (int, error) {
	n, err := strconv.Atoi(cmp.Or(os.Getenv(variable), strconv.Itoa(otherwise)))
	if err != nil {
		return 0, fmt.Errorf("%s is to be a number: %w", variable, err)
	}
	return n, nil
}

// options are those of the node. The shims name the steps of a start at the level debug.
func (s settings) options() (node.Options, error) {
	cache, err := node.CacheDir()
	return node.Options{Name: s.name, Out: s.out, Cache: cache, Progress: node.NewProgress(os.Stderr), LogLevel: "debug"}, err
}
