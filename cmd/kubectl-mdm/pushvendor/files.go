package pushvendor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

// standard names standard input or output in place of a file.
const standard = "-"

// maxFile bounds what is read of a file, in bytes. Real ones have some thousands.
const maxFile = 256 << 10

// read reads a file or standard input.
func read(cmd *cobra.Command, name string) ([]byte, error) {
	if name != standard {
		return readFile(name)
	}
	return readAll(cmd.InOrStdin(), "standard input")
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(file, name)
}

func readAll(from io.Reader, name string) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes: it is another file than the one that is asked for", name, maxFile)
	}
	return content, nil
}

// write writes a new file, or to standard output.
func write(cmd *cobra.Command, name string, content []byte) error {
	if name == standard {
		_, err := cmd.OutOrStdout().Write(content)
		return err
	}
	return writeNew(name, content, 0o644)
}

// writeNew writes a file that is not there yet: what is lost by writing over a key is lost for good.
func writeNew(name string, content []byte, mode fs.FileMode) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and no file is written over: give another name, or move it away", name)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(name))
	}
	return nil
}
