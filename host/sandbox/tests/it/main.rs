//! The sandbox against hostile guests, made from text so that nothing of the SDK softens them.

#[cfg(test)]
mod child;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod support;
#[cfg(test)]
mod widening;
