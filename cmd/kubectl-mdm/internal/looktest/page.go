package looktest

import (
	"errors"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// page keeps what an API server would give of a list at once.
func (w *World) page(list client.ObjectList, options *client.ListOptions) error {
	if options.Limit == 0 {
		return errors.New("a list of everything at once was asked for")
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	begin, _ := strconv.Atoi(options.Continue)
	end := min(begin+w.PageSize, len(items))
	if left := int64(len(items) - end); left > 0 {
		list.SetContinue(strconv.Itoa(end))
		list.SetRemainingItemCount(&left)
	}
	return meta.SetList(list, items[begin:end])
}
