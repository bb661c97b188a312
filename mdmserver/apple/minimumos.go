package apple

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/apple/machineinfo"
)

// outdated returns the version that a device has to install before it may enrol, nil if it may enrol now. A device that cannot do so from Setup Assistant, or
// does not say what it runs, is let in.
func outdated(setup adminapi.AutomatedProfile, info machineinfo.Info) *adminapi.OSVersion {
	minimum, asked := setup.MinimumOS[family(info.Product)]
	have, want := version(info.OSVersion), version(minimum.Version)
	if !asked || !info.CanRequestSoftwareUpdate || len(have) == 0 || slices.Compare(have, want) >= 0 {
		return nil
	}
	return &minimum
}

// families are the beginnings of models, such as iPhone17,1; what has Mac in it is a Mac (MacBookPro, Macmini, iMac, VirtualMac).
var families = []string{"iPhone", "iPad", "iPod", "AppleTV", "Watch", "RealityDevice"}

func family(product string) string {
	if strings.Contains(product, "Mac") {
		return "Mac"
	}
	for _, f := range families {
		if strings.HasPrefix(product, f) {
			return f
		}
	}
	return ""
}

// version splits a version into its numbers, without zeros at the end; it is empty if there are none. What follows a blank is the name of a rapid security
// response, as in "16.4.1 (a)".
func version(text string) []int {
	text, _, _ = strings.Cut(text, " ")
	var numbers []int
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		numbers = append(numbers, n)
	}
	for len(numbers) > 1 && numbers[len(numbers)-1] == 0 {
		numbers = numbers[:len(numbers)-1]
	}
	return numbers
}
