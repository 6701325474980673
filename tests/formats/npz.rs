//! Reads numpy's `.npz`: a zip of `.npy` files, deflated (RFC 1951).

/// An array of an `.npz` file.
pub struct Entry {
    pub name: String,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// The arrays in the order of the file.
pub fn read(file: &[u8]) -> Vec<Entry> {
    let word = |at: usize| usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
    let long = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let mut entries = Vec::new();
    let mut at = 0;
    while file[at..].starts_with(b"PK\x03\x04") {
        let (deflated, name, extra) = (word(at + 8) == 8, word(at + 26), word(at + 28));
        let content = at + 30 + name + extra;
        // numpy gives sizes in 64 bits, in the extra field behind its own header of four bytes.
        let stored = long(content - extra + 12);
        let name = String::from_utf8(file[at + 30..][..name].to_vec()).unwrap();
        let content_bytes = &file[content..content + stored];
        let npy = match deflated {
            true => Inflate::new(content_bytes).run(),
            false => content_bytes.to_vec(),
        };
        let data = 10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]));
        let header = String::from_utf8(npy[10..data].to_vec()).unwrap();
        let (_, shape) = header.split_once('(').unwrap();
        let extents = shape.split(')').next().unwrap().split(',');
        let shape: Vec<usize> = extents.filter_map(|d| d.trim().parse().ok()).collect();
        let bytes = match header.contains("'fortran_order': True") {
            true => transposed(&npy[data..], &shape),
            false => npy[data..].to_vec(),
        };
        entries.push(Entry {
            name: name.trim_end_matches(".npy").to_owned(),
            shape,
            bytes,
        });
        at = content + stored;
    }
    entries
}

/// A matrix stored column by column, row by row.
fn transposed(columns: &[u8], shape: &[usize]) -> Vec<u8> {
    let [height, width] = shape else {
        panic!("only matrices are transposed");
    };
    let size = columns.len() / (height * width);
    let positions = (0..*height).flat_map(|row| (0..*width).map(move |c| c * height + row));
    let elements = positions.flat_map(|at| &columns[at * size..(at + 1) * size]);
    elements.copied().collect()
}

struct Inflate<'a> {
    input: &'a [u8],
    bit: usize,
    out: Vec<u8>,
}

/// Canonical Huffman code: symbols in order of code, and how many there are of each length.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|s| lengths[*s] > 0).collect();
        symbols.sort_by_key(|s| lengths[*s]);
        for symbol in &symbols {
            counts[lengths[*symbol]] += 1;
        }
        Self { counts, symbols }
    }
}

impl<'a> Inflate<'a> {
    fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            bit: 0,
            out: Vec::new(),
        }
    }

    fn bits(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, i| {
            let bit = self.input[self.bit / 8] >> (self.bit % 8) & 1;
            self.bit += 1;
            value | usize::from(bit) << i
        })
    }

    fn symbol(&mut self, code: &Code) -> usize {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            value |= self.bits(1);
            if value < first + count {
                return code.symbols[index + value - first];
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        panic!("no such code");
    }

    fn run(mut self) -> Vec<u8> {
        loop {
            let last = self.bits(1) == 1;
            match self.bits(2) {
                0 => self.stored(),
                1 => {
                    let mut lengths = [8; 288];
                    lengths[144..256].fill(9);
                    lengths[256..280].fill(7);
                    self.block(&Code::new(&lengths), &Code::new(&[5; 30]));
                }
                _ => self.dynamic(),
            }
            if last {
                return self.out;
            }
        }
    }

    fn stored(&mut self) {
        let at = self.bit.div_ceil(8);
        let size = usize::from(u16::from_le_bytes([self.input[at], self.input[at + 1]]));
        self.out.extend(&self.input[at + 4..at + 4 + size]);
        self.bit = (at + 4 + size) * 8;
    }

    fn dynamic(&mut self) {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let (literals, distances) = (self.bits(5) + 257, self.bits(5) + 1);
        let count = self.bits(4) + 4;
        let mut lengths = [0; 19];
        for i in &ORDER[..count] {
            lengths[*i] = self.bits(3);
        }
        let code = Code::new(&lengths);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (value, times) = match self.symbol(&code) {
                16 => (lengths[lengths.len() - 1], self.bits(2) + 3),
                17 => (0, self.bits(3) + 3),
                18 => (0, self.bits(7) + 11),
                length => (length, 1),
            };
            lengths.extend(std::iter::repeat_n(value, times));
        }
        let (literals, distances) = lengths.split_at(literals);
        self.block(&Code::new(literals), &Code::new(distances));
    }

    fn block(&mut self, literals: &Code, distances: &Code) {
        loop {
            let symbol = self.symbol(literals);
            if symbol < 256 {
                self.out.push(symbol as u8);
                continue;
            }
            if symbol == 256 {
                return;
            }
            let length = match symbol - 257 {
                s @ 0..8 => s + 3,
                28 => 258,
                s => {
                    let extra = s / 4 - 1;
                    ((4 + s % 4) << extra) + 3 + self.bits(extra)
                }
            };
            let symbol = self.symbol(distances);
            let distance = if symbol < 4 {
                symbol + 1
            } else {
                let extra = symbol / 2 - 1;
                ((2 + symbol % 2) << extra) + 1 + self.bits(extra)
            };
            for _ in 0..length {
                self.out.push(self.out[self.out.len() - distance]);
            }
        }
    }
}
