//! A small tree of XML: what is needed to read, build and edit libvirt's, with bounds on size and
//! depth and without entities or document types. What it does not know it keeps.

use quick_xml::events::{BytesEnd, BytesPI, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer, XmlVersion};

use crate::hypervisor::HypervisorError;

/// libvirt's own limit on a domain's XML is larger; no real one comes near this.
const MAX_BYTES: usize = 4 << 20;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 200_000;

/// An element with its attributes and content in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub content: Vec<Content>,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Element(Element),
    Text(String),
    Comment(String),
    /// Processing instruction, as written.
    Instruction(String),
}

fn refused(why: impl std::fmt::Display) -> HypervisorError {
    HypervisorError::Refused(format!("the XML cannot be read: {why}"))
}

impl Element {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// With an attribute more.
    #[must_use]
    pub fn attr(mut self, name: &str, value: impl ToString) -> Self {
        self.set(name, value);
        self
    }

    /// With a child more.
    #[must_use]
    pub fn with(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    /// With a child more, where there is one.
    #[must_use]
    pub fn with_some(mut self, child: Option<Self>) -> Self {
        if let Some(child) = child {
            self.push(child);
        }
        self
    }

    /// With text as its only content.
    #[must_use]
    pub fn text(mut self, text: impl ToString) -> Self {
        self.content = vec![Content::Text(text.to_string())];
        self
    }

    pub fn push(&mut self, child: Self) {
        self.content.push(Content::Element(child));
    }

    pub fn set(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string();
        match self.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.attributes.push((name.to_owned(), value)),
        }
    }

    pub fn unset(&mut self, name: &str) {
        self.attributes.retain(|(known, _)| known != name);
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An attribute, empty where it is missing.
    pub fn get_or_empty(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// An attribute as a number; 0 where it is missing or none.
    pub fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.content.iter().filter_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) | Content::Comment(_) | Content::Instruction(_) => None,
        })
    }

    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.content.iter_mut().filter_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) | Content::Comment(_) | Content::Instruction(_) => None,
        })
    }

    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children().filter(move |child| child.name == name)
    }

    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children().find(|child| child.name == name)
    }

    /// The element at a path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The child of this name, made where it is missing.
    pub fn child_mut(&mut self, name: &str) -> &mut Self {
        let at = match self
            .content
            .iter()
            .position(|content| matches!(content, Content::Element(child) if child.name == name))
        {
            Some(at) => at,
            None => {
                self.push(Self::new(name));
                self.content.len() - 1
            }
        };
        match &mut self.content[at] {
            Content::Element(child) => child,
            Content::Text(_) | Content::Comment(_) | Content::Instruction(_) => {
                unreachable!("the position is an element's")
            }
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.child(name).is_some()
    }

    /// Remove the children that match.
    pub fn remove(&mut self, matches: impl Fn(&Self) -> bool) {
        self.content.retain(|content| match content {
            Content::Element(child) => !matches(child),
            Content::Text(_) | Content::Comment(_) | Content::Instruction(_) => true,
        });
    }

    pub fn remove_named(&mut self, name: &str) {
        self.remove(|child| child.name == name);
    }

    /// Put `child` where the first of its name stands, or at the end; the others of its name go.
    pub fn replace(&mut self, child: Self) {
        let name = child.name.clone();
        let at = self.content.iter().position(|content| matches!(content, Content::Element(old) if old.name == name));
        match at {
            Some(at) => {
                self.content[at] = Content::Element(child);
                let mut index = 0;
                self.content.retain(|content| {
                    let keep = index <= at || !matches!(content, Content::Element(old) if old.name == name);
                    index += 1;
                    keep
                });
            }
            None => self.push(child),
        }
    }

    /// The text directly inside, without the white space around it.
    pub fn own_text(&self) -> String {
        self.whole_text().trim().to_owned()
    }

    /// The text directly inside to the last blank: what people wrote comes back as they wrote it.
    pub fn whole_text(&self) -> String {
        let mut text = String::new();
        for content in &self.content {
            if let Content::Text(part) = content {
                text.push_str(part);
            }
        }
        text
    }

    /// The text of the child of this name; empty where it is missing.
    pub fn text_of(&self, name: &str) -> String {
        self.child(name).map(Self::own_text).unwrap_or_default()
    }

    /// Read a document.
    pub fn parse(text: &str) -> Result<Self, HypervisorError> {
        if text.len() > MAX_BYTES {
            return Err(refused(format!("it has {} bytes, more than {MAX_BYTES}", text.len())));
        }
        let mut reader = Reader::from_str(text);
        let mut stack: Vec<Self> = Vec::new();
        let mut root = None;
        let mut nodes = 0;
        loop {
            nodes += 1;
            if nodes > MAX_NODES {
                return Err(refused(format!("it has more than {MAX_NODES} parts")));
            }
            match reader.read_event().map_err(refused)? {
                Event::Start(start) => {
                    if stack.len() >= MAX_DEPTH {
                        return Err(refused(format!("it is nested deeper than {MAX_DEPTH}")));
                    }
                    stack.push(Self::of_start(&start)?);
                }
                Event::Empty(start) => close(&mut stack, &mut root, Self::of_start(&start)?)?,
                Event::End(_) => {
                    let element = stack.pop().ok_or_else(|| refused("an element ends that never began"))?;
                    close(&mut stack, &mut root, element)?;
                }
                Event::Text(text) => {
                    let text = text.xml10_content();
                    add_text(&mut stack, &text)?;
                }
                Event::CData(text) => {
                    let text = text.xml10_content();
                    add_text(&mut stack, &text)?;
                }
                Event::GeneralRef(reference) => {
                    let name = reference.clone().into_inner();
                    let character = match reference.resolve_char_ref().map_err(refused)? {
                        Some(character) => character.to_string(),
                        None => quick_xml::escape::resolve_xml_entity(&name)
                            .ok_or_else(|| refused(format!("it uses the entity \"{name}\"")))?
                            .to_owned(),
                    };
                    add_text(&mut stack, &character)?;
                }
                Event::Comment(comment) => {
                    let comment = comment.into_inner().into_owned();
                    if let Some(parent) = stack.last_mut() {
                        parent.content.push(Content::Comment(comment));
                    }
                }
                Event::PI(instruction) => {
                    let written = instruction.into_inner().into_owned();
                    if let Some(parent) = stack.last_mut() {
                        parent.content.push(Content::Instruction(written));
                    }
                }
                Event::Decl(_) => {}
                Event::DocType(_) => return Err(refused("it declares a document type")),
                Event::Eof => break,
            }
        }
        if !stack.is_empty() {
            return Err(refused("it ends too early"));
        }
        root.ok_or_else(|| refused("it holds no element"))
    }

    fn of_start(start: &BytesStart<'_>) -> Result<Self, HypervisorError> {
        let name = start.name().as_ref().to_owned();
        let mut element = Self::new(&name);
        for attribute in start.attributes() {
            let attribute = attribute.map_err(refused)?;
            let key = attribute.key.as_ref().to_owned();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(refused)?.into_owned();
            element.attributes.push((key, value));
        }
        Ok(element)
    }

    /// The document's text, indented by two.
    pub fn write(&self) -> Result<String, HypervisorError> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        self.write_into(&mut writer)
            .map_err(|error| HypervisorError::Refused(format!("the XML cannot be written: {error}")))?;
        String::from_utf8(writer.into_inner())
            .map_err(|error| HypervisorError::Refused(format!("the XML cannot be written: {error}")))
    }

    fn write_into(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(self.name.as_str());
        for (key, value) in &self.attributes {
            start.push_attribute((key.as_str(), value.as_str()));
        }
        let has_elements = self.children().next().is_some();
        let content: Vec<&Content> = self
            .content
            .iter()
            // Between elements white space is layout, which is written anew.
            .filter(|content| !(has_elements && matches!(content, Content::Text(text) if text.trim().is_empty())))
            .collect();
        if content.is_empty() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        for content in content {
            match content {
                Content::Element(element) => element.write_into(writer)?,
                Content::Text(text) => writer.write_event(Event::Text(BytesText::new(text)))?,
                Content::Comment(comment) => {
                    writer.write_event(Event::Comment(BytesText::from_escaped(comment.as_str())))?;
                }
                Content::Instruction(written) => writer.write_event(Event::PI(BytesPI::new(written.as_str())))?,
            }
        }
        writer.write_event(Event::End(BytesEnd::new(self.name.as_str())))
    }
}

fn close(stack: &mut [Element], root: &mut Option<Element>, element: Element) -> Result<(), HypervisorError> {
    match stack.last_mut() {
        Some(parent) => {
            parent.content.push(Content::Element(element));
            Ok(())
        }
        None if root.is_none() => {
            *root = Some(element);
            Ok(())
        }
        None => Err(refused("it holds two documents")),
    }
}

fn add_text(stack: &mut [Element], text: &str) -> Result<(), HypervisorError> {
    match stack.last_mut() {
        Some(parent) => match parent.content.last_mut() {
            Some(Content::Text(known)) => known.push_str(text),
            Some(Content::Element(_) | Content::Comment(_) | Content::Instruction(_)) | None => {
                parent.content.push(Content::Text(text.to_owned()));
            }
        },
        None if text.trim().is_empty() => {}
        None => return Err(refused("text stands outside of it")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_kept() {
        let text = "<a x='1 &lt; 2'><!-- note --><b:c xmlns:b=\"u\"/>t &amp; u<d/></a>";
        let tree = Element::parse(text).expect("it is well-formed");
        let written = tree.write().expect("it can be written");
        assert_eq!(
            Element::parse(&written).map(|again| again.get("x").map(str::to_owned)),
            Ok(Some("1 < 2".to_owned()))
        );
        for part in ["<!-- note -->", "b:c", "t &amp; u"] {
            assert!(written.contains(part), "{part} is missing in {written}");
        }
    }

    #[test]
    fn hostile_text_is_refused() {
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        for bad in [
            "",
            "<a>",
            "</a>",
            "<a/><b/>",
            "x<a/>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<a>&x;</a>",
            "<a b='1' b='2'/>",
            &deep,
        ] {
            assert!(Element::parse(bad).is_err(), "{} was taken", &bad[..bad.len().min(60)]);
        }
    }
}
